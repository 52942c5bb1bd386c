module.exports = require('./missing');
