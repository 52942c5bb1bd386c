export default { apps: [{ name: 'typed', script: 'src/index.ts', env: { PORT: 4001 } }] };
