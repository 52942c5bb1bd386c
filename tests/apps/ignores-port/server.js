// Listens on a port of its own choice, whatever PORT says.
require('node:http').createServer((request, response) => response.end('ok')).listen(8123)
