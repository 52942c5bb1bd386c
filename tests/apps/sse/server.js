// A stream of events that count up: from 1, or from behind the last one that a client has seen.
const http = require('node:http')

const server = http.createServer((request, response) => {
  if (request.url !== '/events') {
    return response.end(request.url === '/health' ? 'ok' : 'It serves.\n')
  }
  response.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store' })
  let id = Number(request.headers['last-event-id'] ?? 0)
  const send = () => { id += 1; response.write(`id: ${id}\ndata: ${id}\n\n`) }
  send()
  const timer = setInterval(send, 100)
  request.on('close', () => clearInterval(timer))
})

server.listen(process.env.PORT)
