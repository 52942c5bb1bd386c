module.exports = {
  apps: [
    { name: 'spa', script: 'serve', env: { PM2_SERVE_PATH: './dist', PM2_SERVE_PORT: 5050, PM2_SERVE_SPA: 'true', PM2_SERVE_HOMEPAGE: '/index.html', PM2_SERVE_BASIC_AUTH: 'true' } },
    { name: 'files', script: 'serve' },
  ],
};
