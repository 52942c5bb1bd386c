module.exports = {
  apps: [
    { name: 'py', script: 'app.py', interpreter: '/srv/py/.venv/bin/python', interpreter_args: '-u' },
    { name: 'rb', script: 'app.rb' },
    { name: 'sh', script: './run.sh' },
    { name: 'pl', script: 'app.pl' },
    { name: 'go', script: './server', interpreter: 'none', exec_mode: 'fork' },
    { name: 'nvm', script: 'app.js', interpreter: 'node@18.19.0' },
    { name: 'ts', script: 'app.ts', interpreter: './node_modules/.bin/tsx' },
    { name: 'next', script: 'node_modules/next/dist/bin/next', args: 'start -p 3005', instances: 2 },
    { name: 'shell line', script: 'NODE_ENV=production node server.js --port 3006' },
    { name: 'two', script: 'cd api && npm start', args: 'ignored' },
    { name: 'gunicorn', script: 'gunicorn', args: ['app:app', '-b', '0.0.0.0:8000', '-w', 4], interpreter: 'python3' },
  ],
};
module.exports.apps.push(
  { name: 'npm', script: 'npm', args: 'run start', node_args: '--max-old-space-size=300', port: 3010 },
  { name: 'none', script: './server', interpreter: 'none', node_args: '--lost', port: 3010 },
);
