// Keeps 50 MiB for ever at each request to /leak.
const http = require('node:http')

const kept = []
http.createServer((request, response) => {
  if (request.url === '/leak') kept.push(Buffer.alloc(50 << 20, 'x'))
  response.end('It serves.\n')
}).listen(process.env.PORT)
