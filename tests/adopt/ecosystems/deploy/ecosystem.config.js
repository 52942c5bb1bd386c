module.exports = {
  apps: [{ name: 'site', script: 'npm', args: 'start', env_production: { API: 'https://api.example.org' } }],
  deploy: {
    production: {
      user: 'node',
      host: ['10.0.0.1', '10.0.0.2'],
      ref: 'origin/main',
      repo: 'git@example.org:site.git',
      path: '/var/www/site',
      'pre-deploy-local': '',
      'post-deploy': 'npm install && pm2 reload ecosystem.config.js --env production',
      env: { FROM_DEPLOY: 'yes', API: 'lost' },
    },
    staging: { user: 'node', host: 'staging.example.org' },
  },
};
