app.listen(process.env.HOOK_PORT || 3920);
