// Keeps 20 MiB for ever at each POST.
const http = require('node:http')

const kept = []
http.createServer((request, response) => {
  if (request.method === 'POST') kept.push(Buffer.alloc(20 << 20, 'x'))
  response.end('It serves.\n')
}).listen(process.env.PORT)
