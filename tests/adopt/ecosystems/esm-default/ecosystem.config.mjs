import { availableParallelism } from 'node:os';

export default {
  apps: [{ name: 'esm', script: './src/main.mjs', instances: availableParallelism() > 0 ? -1 : 1, port: 5000 }],
};
