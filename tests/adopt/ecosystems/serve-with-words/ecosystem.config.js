// The name means PM2's own server of files, whose words are others than those of the package.
module.exports = {
  apps: [
    { name: 'package', script: 'serve', args: '-s build -l 6001' },
    { name: 'own', script: 'serve', args: 'build 6002' },
    { name: 'both', script: 'serve', args: 'build 6002', env: { PM2_SERVE_PATH: 'www', PM2_SERVE_PORT: 6003 } },
    { name: 'odd', script: 'serve', args: '--ssl-cert x.pem' },
    { name: 'npx', script: 'npx', args: 'serve -s build -l 6004' },
  ],
};
