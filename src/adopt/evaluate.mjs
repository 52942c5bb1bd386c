// Evaluates a file of JavaScript and prints what it exports as JSON, after a line that its own
// output cannot have. What JSON cannot say is said in words, so that nothing is lost in silence.
import { readFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import vm from 'node:vm';

const [, file, mark] = process.argv;

const names = new Set();
const unset = new Set();
const environment = process.env;
const shell = { ...environment };
let spread = false;
// What a spread takes is asked for by nobody: it asks for the names, and then for the value of each.
let coming = new Set();
process.env = new Proxy(environment, {
  get(target, name) {
    const value = target[name];
    if (typeof name === 'string' && !coming.delete(name)) {
      (value === undefined ? unset : names).add(name);
    }
    return value;
  },
  ownKeys(target) {
    spread = true;
    coming = new Set(Reflect.ownKeys(target));
    return Reflect.ownKeys(target);
  },
});

function plain(value, above) {
  switch (typeof value) {
    case 'bigint':
    case 'function':
    case 'symbol':
      return `[${typeof value}]`;
    case 'number':
      return Number.isFinite(value) ? value : `[${value}]`;
    case 'object':
      break;
    default:
      return value;
  }
  if (value === null) return null;
  if (value instanceof RegExp) return String(value);
  if (typeof value.toJSON === 'function') return plain(value.toJSON(), above);
  if (above.includes(value)) return '[circular]';
  const inside = [...above, value];
  if (Array.isArray(value)) return value.map((item) => plain(item, inside));
  return Object.fromEntries(Object.keys(value).map((key) => [key, plain(value[key], inside)]));
}

try {
  let value;
  if (file.endsWith('.json')) {
    // PM2 reads JSON as an expression of JavaScript.
    value = vm.runInThisContext(`(${readFileSync(file, 'utf8')}\n)`, { filename: file });
  } else {
    const module = await import(pathToFileURL(file));
    value = await ('default' in module ? module.default : { ...module });
  }
  const told = { value: plain(value, []), environment: [...names], unset: [...unset] };
  told.shell = spread ? shell : {};
  const said = JSON.stringify(told);
  process.stdout.write(`\n${mark}\n${said}\n`, () => process.exit(0));
} catch (error) {
  const stack = String((error && error.stack) || error);
  process.stderr.write(`${mark}\n${stack}\n`, () => process.exit(1));
}
