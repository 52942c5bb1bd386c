// A plain Node app: it knows nothing of signals, and only one of its requests takes long.
const http = require('node:http')

const large = Buffer.alloc(8 << 20, '.')

const server = http.createServer((request, response) => {
  if (request.url === '/health') return response.end('ok')
  if (request.url === '/large') return response.end(large)
  if (request.url === '/slow') return console.log('a slow request has begun')
  if (request.method === 'POST' && request.url === '/upload') {
    let length = 0
    request.on('data', (piece) => { length += piece.length })
    return request.on('end', () => response.end(String(length)))
  }
  if (request.url === '/') return response.end('It serves.\n')
  response.writeHead(404).end('nothing here\n')
})

server.listen(process.env.PORT)
