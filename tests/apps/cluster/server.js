// Node's own cluster: the workers share a port that their parent listens on.
const cluster = require('node:cluster')
const http = require('node:http')

if (cluster.isPrimary) {
  cluster.fork()
  cluster.fork()
} else {
  http.createServer((request, response) => response.end('It serves.\n')).listen(process.env.PORT)
}
