// Sends each WebSocket message back. No signal handling.
const http = require('node:http')
const { WebSocketServer } = require('ws')

const server = http.createServer((request, response) => {
  response.end(request.url === '/health' ? 'ok' : 'It serves.\n')
})

new WebSocketServer({ server, path: '/ws' }).on('connection', (socket) => {
  socket.on('message', (message, binary) => socket.send(message, { binary }))
})

server.listen(process.env.PORT)
