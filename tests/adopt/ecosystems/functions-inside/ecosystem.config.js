const self = { name: 'odd', script: 'a.js', watch: () => true, args: [1, true, undefined], big: 10n };
self.again = self;
self.limit = Infinity;
self.when = new Date(0);
module.exports = { apps: [self], helper() {}, version: 2 };
