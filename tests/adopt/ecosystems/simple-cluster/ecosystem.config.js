module.exports = {
  apps: [
    {
      name: 'shop',
      script: './server.js',
      instances: 'max',
      exec_mode: 'cluster',
      max_memory_restart: '400M',
      env: { NODE_ENV: 'development', PORT: 3000, DB_URL: 'postgres://localhost/shop' },
      env_production: { NODE_ENV: 'production', PORT: 8080, SESSION_SECRET: 'not so secret' },
    },
  ],
};
