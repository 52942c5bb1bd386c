// One app with every option that PM2 has.
module.exports = {
  apps: {
    script: 'dist/main.js', name: 'All Of It', name_prefix: 'acme/', filter_env: ['AWS_'], namespace: 'web',
    install_url: 'https://example.org', cwd: './services/all', args: '--verbose "two words"',
    interpreter: 'node', node_args: ['--max-old-space-size=512', '--require', './tracing.js'],
    out_file: '/var/log/all.out', error_file: '/var/log/all.err', log_file: '/var/log/all.log',
    disable_logs: false, log_type: 'json', log_date_format: 'YYYY-MM-DD HH:mm Z', time: true,
    env: { PORT: '4100', LOG_LEVEL: 'info', NESTED: { a: 1 }, NOTHING: null, 'bad name': 1 },
    env_staging: { NODE_ENV: 'staging' },
    max_memory_restart: 314572800, pid_file: '/run/all.pid', restart_delay: 4000,
    exp_backoff_restart_delay: 100, source_map_support: true, disable_source_map_support: false,
    wait_ready: true, instances: 4, kill_timeout: 3000, shutdown_with_message: true,
    listen_timeout: 60000, cron_restart: '0 3 * * *', merge_logs: true, vizion: false,
    autostart: true, autorestart: true, stop_exit_codes: [0], watch_delay: 1000, watch: ['src'],
    ignore_watch: [/node_modules/, 'logs'], watch_options: { followSymlinks: false },
    min_uptime: '20s', max_restarts: 5, execute_command: false, exec_mode: 'cluster_mode', force: true,
    append_env_to_name: true, post_update: ['npm install'], trace: false, disable_trace: true, v8: true,
    event_loop_inspector: true, deep_monitoring: true, increment_var: 'PORT', instance_var: 'WORKER_ID',
    pmx: false, automation: false, treekill: false, port: 4200, username: 'deploy', uid: 'www-data',
    gid: 'www-data', windowsHide: true, kill_retry_time: 200, write: true, io: { apm: {} },
  },
};
