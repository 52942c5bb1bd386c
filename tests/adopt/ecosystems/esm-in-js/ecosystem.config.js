export const apps = [{ name: 'named-export', script: 'app.js', env: { PORT: 4000, HOST: '0.0.0.0' } }];
