const port = process.env.PORT || 8123;
router.get('/healthz', (request, response) => response.end('ok'));
app.listen(port, () => process.send('ready'));
