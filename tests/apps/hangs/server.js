// Stops answering for ever when it is asked to, as an app does whose regular expression goes wild; or ends.
const http = require('node:http')

http.createServer((request, response) => {
  if (request.method === 'POST') for (;;) { /* never yields */ }
  if (request.url.startsWith('/die')) process.exit(1)
  if (request.url.startsWith('/half')) {
    response.writeHead(200, { 'Content-Length': 9 })
    return response.write('half', () => process.exit(1))
  }
  response.end('It serves.\n')
}).listen(process.env.PORT)
