module.exports = { apps: [ { name: 'x', script: ] };
