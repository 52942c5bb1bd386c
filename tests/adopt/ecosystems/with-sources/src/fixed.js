http.createServer(answer).listen(8124);
