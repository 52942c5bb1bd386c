module.exports = { script: 'server.js', node_args: '--harmony', env: { PORT: 7000 } };
