// Keeps 20 MiB for ever at each POST, or as much as it is told.
const http = require('node:http')

const size = Number(process.env.LEAK ?? 20 << 20)
const kept = []
http.createServer((request, response) => {
  if (request.method === 'POST') kept.push(Buffer.alloc(size, 'x'))
  response.end('It serves.\n')
}).listen(process.env.PORT)
