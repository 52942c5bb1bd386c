// A plain Express app without any signal handling.
const express = require('express')

const large = Buffer.alloc(8 << 20, '.')
const app = express()

app.get('/health', (request, response) => response.send('ok'))
app.get('/', (request, response) => response.type('text').send('It serves.\n'))
app.get('/large', (request, response) => response.type('bin').send(large))
app.post('/upload', express.raw({ type: '*/*', limit: '10mb' }), (request, response) => {
  response.type('text').send(String(request.body.length))
})

app.listen(process.env.PORT, () => console.log(`listening on ${process.env.PORT}`))
