// Stops answering for ever when it is asked to.
const http = require('node:http')

http.createServer((request, response) => {
  if (request.url === '/hang') for (;;) { /* as a regular expression gone wild */ }
  response.end('It serves.\n')
}).listen(process.env.PORT)
