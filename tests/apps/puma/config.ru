# A Rack app without any framework.
LARGE = ('.' * (8 << 20)).freeze

run(lambda do |env|
  known = { '/' => "It serves.\n", '/health' => 'ok', '/large' => LARGE }
  body =
    if env['REQUEST_METHOD'] == 'POST' && env['PATH_INFO'] == '/upload'
      env['rack.input'].read.bytesize.to_s
    else
      known[env['PATH_INFO']]
    end
  next [404, { 'content-type' => 'text/plain' }, ["nothing here\n"]] unless body

  [200, { 'content-type' => 'text/plain', 'content-length' => body.bytesize.to_s }, [body]]
end)
