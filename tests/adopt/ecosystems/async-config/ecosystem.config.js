module.exports = (async () => ({ apps: [{ name: 'later', script: 'a.js', port: 3999 }] }))();
setInterval(() => {}, 1000); // keeps node up
