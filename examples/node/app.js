// A plain app: it listens where PORT says, and knows nothing of sockets handed down, signals or drains.
const http = require('node:http');

http
  .createServer((request, response) => {
    if (request.url === '/health') {
      response.end('well\n');
    } else {
      response.end('Hello from Node.\n');
    }
  })
  .listen(process.env.PORT || 8080);
