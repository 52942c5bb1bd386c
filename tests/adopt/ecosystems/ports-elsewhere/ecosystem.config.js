// Apps whose port is not in PORT: in another variable, in package.json, in the file of a folder.
module.exports = {
  apps: [
    { name: 'nitro', script: 'server.js', env: { NITRO_PORT: 3900, NITRO_HOST: '127.0.0.1', PORT: 3901 } },
    { name: 'same', script: 'server.js', env: { PORT: 3910, SITE_PORT: 3910, REDIS_PORT: 6379 } },
    { name: 'hook', script: 'hook.js', env: { HOOK_PORT: 3920, REDIS_PORT: 6379, GONE: null } },
    { name: 'unsure', script: 'server.js', env: { SITE_PORT: 3930, SMTP_PORT: 587 } },
    { name: 'folder', script: './service-worker/' },
    { name: 'script', script: 'npm start' },
    { name: 'words', script: 'npm', args: 'run serve' },
    { name: 'chart', script: 'streamlit', args: 'run a.py --server.port 8501', interpreter: 'none' },
    { name: 'boot', script: 'java', args: '-jar a.jar --server.port=8088', interpreter: 'none' },
    { name: 'bound', script: 'uvicorn', args: 'a:b --host=0.0.0.0', interpreter: 'none' },
    { name: 'other', script: 'uvicorn a:b --port ${PORT:-5050}' },
  ],
};
