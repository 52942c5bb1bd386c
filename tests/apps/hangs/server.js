// Stops answering for ever when it is asked to, as an app does whose regular expression goes wild.
const http = require('node:http')

http.createServer((request, response) => {
  if (request.method === 'POST') for (;;) { /* never yields */ }
  response.end('It serves.\n')
}).listen(process.env.PORT)
