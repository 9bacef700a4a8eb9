import { isAbsolute } from 'node:path';
import { stringify } from 'yaml';
import { configSchema, contradictions, packageRoot } from '../config/schema.ts';
import { escapeControls } from '../escape.ts';
import { type LeftOut, reasonFor } from './left-out.ts';
import { type RegistrySettings, SettingsError } from './settings.ts';

/** A configuration of shiplog. */
export interface Translation {
  /** As a file; what could not be translated stands in its comments. */
  readonly text: string;
  /** What matters of what could not be translated, and what is to be done beside. */
  readonly advice: readonly string[];
}

type Tree = Map<string, string | boolean | Tree>;

/** Translates the settings of registry:2 (or distribution v3). @throws {SettingsError} */
export function translate(from: RegistrySettings): Translation {
  const to = new Target();
  http(from, to);
  auth(from, to);
  storage(from, to);
  for (const path of from.left()) {
    const reason = reasonFor(path);
    if (reason !== undefined) to.leaveOut(path, reason);
  }
  return to.finish();
}

function http(from: RegistrySettings, to: Target): void {
  const address = from.take('http.addr') ?? ':5000';
  to.set('http.listen', address.startsWith(':') ? `0.0.0.0${address}` : address, 'http.addr');
  to.set('http.public_url', from.take('http.host'), 'http.host');
  if (from.names('http.net')[0] === 'tcp') from.take('http.net');
  to.set('http.shutdown_grace', from.take('http.draintimeout'), 'http.draintimeout');
}

function auth(from: RegistrySettings, to: Target): void {
  const file = from.take('auth.htpasswd.path');
  to.set('auth.htpasswd', file, 'auth.htpasswd.path');
  if (file === undefined) {
    to.advise('there is no file of users in it; shiplog needs one where others reach it: npx shiplog htpasswd NAME');
  }
}

/** What stands in `storage` beside the one driver. */
const beside = new Set(['cache', 'delete', 'maintenance', 'redirect', 'tag']);

function storage(from: RegistrySettings, to: Target): void {
  // Off unless it is switched on, while shiplog has it the other way.
  to.set('storage.delete', from.takeFlag('storage.delete.enabled') ?? false, 'storage.delete.enabled');
  const readOnly = 'storage.maintenance.readonly.enabled';
  to.set('storage.read_only', from.takeFlag(readOnly), readOnly);
  const [driver, ...more] = from.names('storage').filter((name) => !beside.has(name));
  if (more.length > 0) throw new SettingsError(`storage names several drivers: ${[driver, ...more].join(', ')}`);
  if (driver === undefined || driver === 'filesystem') {
    const path = 'storage.filesystem.rootdirectory';
    const root = from.take(path) ?? '/var/lib/registry';
    to.set('storage.disk.root', root, path);
    if (!isAbsolute(root))
      to.advise(`storage.disk.root is ${root}, and starts at the folder that the file will lie in`);
  } else if (/^s3(?:aws|goamz)?$/.test(driver)) {
    s3(from, to, `storage.${driver}`);
  } else {
    throw new SettingsError(
      `there is no storage.${escapeControls(driver)} here: images are kept on disk or in a bucket of S3; copy them there ` +
        '(skopeo sync), and take the driver out of the configuration',
    );
  }
}

function s3(from: RegistrySettings, to: Target, driver: string): void {
  const take = (name: string): string | undefined => from.take(`${driver}.${name}`);
  const move = (name: string, key: string): void => to.set(`storage.s3.${key}`, take(name), `${driver}.${name}`);
  to.set('storage.driver', 's3', driver);
  move('bucket', 'bucket');
  move('region', 'region');
  const secure = from.takeFlag(`${driver}.secure`) ?? true;
  const endpoint = take('regionendpoint');
  const url = endpoint === undefined || endpoint.includes('://') ? endpoint : `http${secure ? 's' : ''}://${endpoint}`;
  to.set('storage.s3.endpoint', url, `${driver}.regionendpoint`);
  // Where an endpoint is given, registry:2 always has it so, and distribution v3 unless told otherwise.
  const pathStyle = from.takeFlag(`${driver}.forcepathstyle`) ?? true;
  to.set('storage.s3.force_path_style', endpoint === undefined ? undefined : pathStyle, `${driver}.forcepathstyle`);
  to.set('storage.s3.prefix', take('rootdirectory')?.replace(/^\/+|\/+$/g, ''), `${driver}.rootdirectory`);
  move('accesskey', 'access_key_id');
  move('secretkey', 'secret_access_key');
  const [encrypt, keyId] = [from.takeFlag(`${driver}.encrypt`) ?? false, take('keyid')];
  const sse = keyId === undefined ? 'AES256' : 'aws:kms';
  to.set('storage.s3.sse', encrypt ? sse : undefined, `${driver}.encrypt`);
  to.set('storage.s3.kms_key_id', encrypt ? keyId : undefined, `${driver}.keyid`);
  const storageClass = take('storageclass');
  to.set('storage.s3.storage_class', storageClass === 'NONE' ? undefined : storageClass, `${driver}.storageclass`);
}

/** What comes out. */
class Target {
  readonly #tree: Tree = new Map();
  /** Key → the path that it came from. */
  readonly #origins = new Map<string, string>();
  readonly #leftOut: string[] = [];
  /** What matters of it, each section once. */
  readonly #missing = new Set<string>();
  readonly #advice: string[] = [];

  /** Sets a key, if there is a value for it. */
  set(key: string, value: string | boolean | undefined, origin: string): void {
    if (value === undefined || value === '') return;
    this.#origins.set(key, origin);
    const parts = key.split('.');
    const name = parts.pop() ?? '';
    section(this.#tree, parts).set(name, value);
  }

  leaveOut(path: string, { section, why, matters }: LeftOut): void {
    this.#leftOut.push(escapeControls(`${path}: ${why}`));
    if (matters) this.#missing.add(escapeControls(`left out: ${section}: ${why}`));
  }

  advise(text: string): void {
    this.#advice.push(escapeControls(text));
  }

  finish(): Translation {
    // What shiplog would refuse is left out as well.
    const checked = configSchema(packageRoot).safeParse(toObject(this.#tree));
    for (const { path, message } of checked.error?.issues ?? []) {
      const key = path.join('.');
      const origin = this.#origins.get(key) ?? key;
      this.leaveOut(origin, { section: origin, why: `it cannot be ${key}: ${message}`, matters: true });
      section(this.#tree, path.slice(0, -1).map(String)).delete(String(path.at(-1)));
    }
    for (const { key, message } of checked.success ? contradictions(checked.data) : []) {
      this.advise(`${key}: ${message}`);
    }
    if (this.#origins.has('storage.s3.secret_access_key')) {
      this.advise('the secret key stands in it: let nobody else read it, or give storage.s3.secret_access_key_file');
    }
    const leftOut = this.#leftOut.map((line) => `#   ${line}\n`).join('');
    return {
      text:
        '# Translated from a configuration of registry:2. Where that ran in a container, paths are those of the container.\n' +
        stringify(toObject(this.#tree)) +
        (leftOut === '' ? '' : `# Left out:\n${leftOut}`),
      advice: [...this.#missing, ...this.#advice],
    };
  }
}

function section(tree: Tree, path: readonly string[]): Tree {
  return path.reduce((above, name) => {
    const there = above.get(name);
    if (there instanceof Map) return there;
    const made: Tree = new Map();
    above.set(name, made);
    return made;
  }, tree);
}

function toObject(tree: Tree): Record<string, unknown> {
  return Object.fromEntries([...tree].map(([name, value]) => [name, value instanceof Map ? toObject(value) : value]));
}
