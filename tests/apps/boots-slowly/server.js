// Listens only after it has warmed up for BOOT milliseconds.
const http = require('node:http')

setTimeout(() => {
  http.createServer((request, response) => response.end('It serves.\n')).listen(process.env.PORT)
}, Number(process.env.BOOT ?? 20000))
