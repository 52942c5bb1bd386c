// Serves its pages and answers 500 on its health path.
const http = require('node:http')

http.createServer((request, response) => {
  response.writeHead(request.url === '/health' ? 500 : 200).end('It serves.\n')
}).listen(process.env.PORT)
