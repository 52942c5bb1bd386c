const base = require('./config/base');
const { name } = require('./package.json');

console.log('loading', name); // noise on standard output
console.error('and more of it');

module.exports = { apps: [Object.assign({}, base, { name, env: { ...base.env, TOKEN: process.env.ROMUO_TEST_TOKEN } })] };
