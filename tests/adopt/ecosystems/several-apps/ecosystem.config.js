const common = { cwd: './api', kill_timeout: 5000, env: { NODE_ENV: 'production' } };
const port = (n) => ({ PORT: 3000 + n });

module.exports = {
  apps: [
    { name: 'api', script: 'index.js', ...common, env: { ...common.env, ...port(1) } },
    { name: 'api', script: 'index.js', ...common, env: { ...common.env, ...port(2) } },
    { name: 'queue-worker', script: 'worker.js', ...common, instances: 2 },
    { name: 'nightly', script: 'job.js', autorestart: false, cron_restart: '0 2 * * *' },
    { name: 'no script' },
    'server.js',
  ],
};
