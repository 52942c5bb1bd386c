app.listen(process.env.PORT || 3940);
