module.exports = {
  apps: [
    { name: 'web', script: 'src/web.js', instances: 2, wait_ready: true },
    { name: 'fixed', script: 'src/fixed.js' },
  ],
};
