require('http').createServer(answer).listen(process.env.PORT);
