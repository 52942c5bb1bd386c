// Throws at boot, as an app does whose configuration is wrong.
throw new Error('DATABASE_URL is not set')
