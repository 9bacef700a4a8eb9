import { posix } from 'node:path';
import { random, type Random } from './random.ts';

/**
 * A file system in memory that behaves as the worst disk that POSIX allows.
 *
 * - Written bytes are durable only once a `datasync` or `sync` of that file, begun after the write, has succeeded.
 *   Until then a power cut may keep, lose or tear them (by sectors of 512 bytes), and the file's length with them.
 * - A name in a directory (create, link, rename, unlink, mkdir, rmdir) is durable only once that directory was synced.
 *   Until then a power cut keeps or loses each change by itself; but a rename never loses both names.
 * - After a failed sync the bytes that it was to save are never saved by a later one (Linux marks them clean).
 *
 * `before` is asked ahead of every call and can fail, shorten, ignore or delay it. `crash` is a power cut, `kill` the
 * end of the process alone: both return the file system that the next process finds; every call on the old one fails.
 */
export class FaultyFileSystem {
  /** Bytes that `statfs` says are left. Writing takes none of them. */
  free = 2 ** 40;
  readonly #root: Directory;
  readonly #random: Random;
  readonly #ops: { pending: DirectoryChange[] };
  readonly #disabled = new Set<'datasync' | 'dirsync'>();
  readonly #opened = new Set<FaultyHandle>();
  #hook: Hook | undefined;
  #dead = false;
  #calls = 0;

  constructor(options: { seed?: number; root?: Directory } = {}) {
    this.#random = random(options.seed ?? 1);
    this.#root = options.root ?? new Directory();
    this.#ops = { pending: [] };
  }

  /** How many calls were made so far. */
  get calls(): number {
    return this.#calls;
  }

  /** Paths of the files and directories that are open. */
  get opened(): string[] {
    return Array.from(this.#opened, ({ path }) => path);
  }

  /** Sets what is asked ahead of each call; it replaces the one before. */
  before(hook: Hook | undefined): void {
    this.#hook = hook;
  }

  /** Makes every data sync, or every directory sync, report success and do nothing. */
  disable(...syncs: ('datasync' | 'dirsync')[]): void {
    for (const sync of syncs) this.#disabled.add(sync);
  }

  /** Power cut. With `loseAll`, everything that was not synced is lost; else that is drawn by the seed. */
  crash(options: { loseAll?: boolean } = {}): FaultyFileSystem {
    this.#dead = true;
    const keep = (): boolean => options.loseAll !== true && this.#random.chance(0.5);
    for (const change of this.#ops.pending) {
      if (keep()) change.persist(keep);
    }
    return new FaultyFileSystem({ seed: this.#random.int(1 << 30), root: survive(this.#root, keep, new Map()) });
  }

  /** The process ends, the machine goes on: everything that was written is there. */
  kill(): FaultyFileSystem {
    this.#dead = true;
    const next = new FaultyFileSystem({ seed: this.#random.int(1 << 30), root: this.#root });
    next.#ops.pending = this.#ops.pending;
    return next;
  }

  /** Every file as it can be read now: path → bytes. */
  files(): Map<string, Buffer> {
    const found = new Map<string, Buffer>();
    const walk = (directory: Directory, path: string): void => {
      for (const [name, node] of [...directory.entries].toSorted(([a], [b]) => (a < b ? -1 : 1))) {
        if (node instanceof Directory) walk(node, `${path}/${name}`);
        else found.set(`${path}/${name}`, Buffer.from(node.bytes()));
      }
    };
    walk(this.#root, '');
    return found;
  }

  async open(path: string, flags: string, _mode?: number): Promise<FaultyHandle> {
    await this.#call('open', path);
    const [parent, name] = this.#parent(path);
    let node = name === '' ? this.#root : parent.entries.get(name);
    const creates = /^[wa]/.test(flags);
    if (node !== undefined && flags.includes('x')) throw fault('EEXIST', 'open', path);
    if (node === undefined && !creates) throw fault('ENOENT', 'open', path);
    if (node instanceof Directory && flags !== 'r') throw fault('EISDIR', 'open', path);
    if (node === undefined) {
      node = new File();
      this.#change(new DirectoryChange({ directory: parent, name, node }));
    } else if (node instanceof File && flags.startsWith('w')) node.truncate(0);
    const handle = new FaultyHandle(
      node,
      posix.normalize(path),
      flags,
      (op, length) => this.#call(op, path, length),
      (ignored) => this.#sync(node, ignored),
      () => void this.#opened.delete(handle),
    );
    this.#opened.add(handle);
    return handle;
  }

  async openToAdd(path: string): Promise<FaultyHandle> {
    this.#find('open', path);
    return this.open(path, 'a+');
  }

  async mkdir(path: string, options: { recursive: true }): Promise<string | undefined> {
    await this.#call('mkdir', path);
    let directory = this.#root;
    let first: string | undefined;
    let walked = '';
    for (const part of parts(path)) {
      walked += `/${part}`;
      let next = directory.entries.get(part);
      if (next instanceof File) throw fault('ENOTDIR', 'mkdir', path);
      if (next === undefined) {
        next = new Directory();
        this.#change(new DirectoryChange({ directory, name: part, node: next }));
        first ??= walked;
      }
      directory = next;
    }
    return options.recursive ? first : undefined;
  }

  async readdir(path: string): Promise<string[]>;
  async readdir(path: string, options: { withFileTypes: true }): Promise<FaultyDirent[]>;
  async readdir(path: string, options?: { withFileTypes: true }): Promise<string[] | FaultyDirent[]> {
    await this.#call('readdir', path);
    const node = this.#find('readdir', path);
    if (node instanceof File) throw fault('ENOTDIR', 'readdir', path);
    if (options === undefined) return [...node.entries.keys()];
    return [...node.entries].map(([name, child]) => ({
      name,
      isDirectory: () => child instanceof Directory,
      isFile: () => child instanceof File,
    }));
  }

  async stat(path: string): Promise<FaultyStats> {
    await this.#call('stat', path);
    return stats(this.#find('stat', path));
  }

  async access(path: string, _mode: number): Promise<void> {
    await this.#call('access', path);
    this.#find('access', path);
  }

  async statfs(_path: string): Promise<{ type: number; bavail: number; bsize: number }> {
    await Promise.resolve();
    // Of ext4.
    return { type: 0xef53, bavail: Math.floor(this.free / 4096), bsize: 4096 };
  }

  async readFile(path: string): Promise<Buffer> {
    await this.#call('readFile', path);
    const node = this.#find('open', path);
    if (node instanceof Directory) throw fault('EISDIR', 'read', path);
    return Buffer.from(node.bytes());
  }

  async rename(from: string, to: string): Promise<void> {
    await this.#call('rename', to, 0, from);
    const node = this.#find('rename', from);
    const [source, sourceName] = this.#parent(from);
    const [target, targetName] = this.#parent(to);
    const there = target.entries.get(targetName);
    if (there === node) return;
    if (there instanceof Directory && node instanceof File) throw fault('EISDIR', 'rename', to);
    if (there instanceof File && node instanceof Directory) throw fault('ENOTDIR', 'rename', to);
    if (there instanceof Directory && there.entries.size > 0) throw fault('ENOTEMPTY', 'rename', to);
    this.#change(
      new DirectoryChange(
        { directory: target, name: targetName, node },
        { directory: source, name: sourceName, was: node },
      ),
    );
  }

  async link(from: string, to: string): Promise<void> {
    await this.#call('link', to, 0, from);
    const node = this.#find('link', from);
    const [target, name] = this.#parent(to);
    if (target.entries.has(name)) throw fault('EEXIST', 'link', to);
    this.#change(new DirectoryChange({ directory: target, name, node }));
  }

  async unlink(path: string): Promise<void> {
    await this.#call('unlink', path);
    const node = this.#find('unlink', path);
    if (node instanceof Directory) throw fault('EISDIR', 'unlink', path);
    const [directory, name] = this.#parent(path);
    this.#change(new DirectoryChange(undefined, { directory, name, was: node }));
  }

  async rmdir(path: string): Promise<void> {
    await this.#call('rmdir', path);
    const node = this.#find('rmdir', path);
    if (node instanceof File) throw fault('ENOTDIR', 'rmdir', path);
    if (node.entries.size > 0) throw fault('ENOTEMPTY', 'rmdir', path);
    const [directory, name] = this.#parent(path);
    this.#change(new DirectoryChange(undefined, { directory, name, was: node }));
  }

  /** Asks the hook; what it says of the call, for those that can be shortened or ignored. */
  async #call(op: Operation, path: string, length = 0, from?: string): Promise<Verdict> {
    await Promise.resolve();
    if (this.#dead) throw fault('EIO', op, `${path} (the process is dead)`);
    this.#calls += 1;
    const call: Call = { op, path: posix.normalize(path), length, number: this.#calls };
    const verdict = await this.#hook?.(from === undefined ? call : { ...call, from: posix.normalize(from) });
    if (this.#dead) throw fault('EIO', op, `${path} (the process died)`);
    if (verdict instanceof Error) throw verdict;
    if ((op === 'datasync' || op === 'sync') && this.#disabled.has('datasync')) return 'ignore';
    if (op === 'dirsync' && this.#disabled.has('dirsync')) return 'ignore';
    return verdict ?? undefined;
  }

  /** Saves what was there when it began; what comes meanwhile is left for the next sync. */
  async #sync(node: Node, ignored: boolean): Promise<void> {
    const finish = node instanceof File ? node.beginSync() : this.#beginDirectorySync(node);
    await Promise.resolve();
    if (this.#dead) throw fault('EIO', 'fsync', 'the process died');
    if (!ignored) finish();
  }

  #beginDirectorySync(directory: Directory): () => void {
    const begun = this.#ops.pending.filter((change) => change.touches(directory));
    return () => {
      for (const change of begun) change.persistIn(directory);
      this.#ops.pending = this.#ops.pending.filter((change) => !change.persisted);
    };
  }

  #change(change: DirectoryChange): void {
    change.apply();
    this.#ops.pending.push(change);
  }

  #find(op: string, path: string): Node {
    let node: Node = this.#root;
    for (const part of parts(path)) {
      if (node instanceof File) throw fault('ENOTDIR', op, path);
      const next: Node | undefined = node.entries.get(part);
      if (next === undefined) throw fault('ENOENT', op, path);
      node = next;
    }
    return node;
  }

  #parent(path: string): [Directory, string] {
    const parent = this.#find('open', posix.dirname(posix.normalize(path)));
    if (parent instanceof File) throw fault('ENOTDIR', 'open', path);
    return [parent, posix.basename(path)];
  }
}

/** The calls that a hook can tell apart. `dirsync` is the sync of a directory, whatever its handle calls it. */
export type Operation =
  | 'open'
  | 'read'
  | 'write'
  | 'writev'
  | 'truncate'
  | 'stat'
  | 'access'
  | 'datasync'
  | 'sync'
  | 'dirsync'
  | 'close'
  | 'mkdir'
  | 'readdir'
  | 'readFile'
  | 'rename'
  | 'link'
  | 'unlink'
  | 'rmdir';

/** A call that is about to happen. */
export interface Call {
  readonly op: Operation;
  /** Where it acts; of `rename` and `link` the new name. */
  readonly path: string;
  readonly from?: string;
  /** Bytes to be read or written. */
  readonly length: number;
  /** 1 for the first call on this file system. */
  readonly number: number;
}

/** An error fails the call, `short` bounds the bytes of a write, `ignore` makes a sync a lie; else it happens. */
export type Verdict = Error | { readonly short: number } | 'ignore' | undefined | void;
export type Hook = (call: Call) => Verdict | Promise<Verdict>;

export interface FaultyStats {
  readonly ino: number;
  readonly size: number;
  readonly mtimeMs: number;
  readonly ctimeMs: number;
  readonly nlink: number;
  isFile(): boolean;
  isDirectory(): boolean;
}

export interface FaultyDirent {
  readonly name: string;
  isFile(): boolean;
  isDirectory(): boolean;
}

/** An error as `node:fs` makes them, with the system's code. */
export function fault(code: string, syscall: string, path: string): Error & { code: string } {
  return Object.assign(new Error(`${code}: injected or simulated, ${syscall} '${path}'`), { code, syscall, path });
}

/** An open file or directory. */
export class FaultyHandle {
  readonly path: string;
  readonly #node: Node;
  readonly #flags: string;
  readonly #call: (op: Operation, length?: number) => Promise<Verdict>;
  readonly #save: (ignored: boolean) => Promise<void>;
  readonly #end: () => void;
  #closed = false;

  constructor(
    node: Node,
    path: string,
    flags: string,
    call: (op: Operation, length?: number) => Promise<Verdict>,
    save: (ignored: boolean) => Promise<void>,
    end: () => void,
  ) {
    this.path = path;
    this.#node = node;
    this.#flags = flags;
    this.#call = call;
    this.#save = save;
    this.#end = end;
  }

  async read(buffer: Uint8Array, offset: number, length: number, position: number): Promise<{ bytesRead: number }> {
    const file = this.#file('read');
    await this.#call('read', length);
    const bytes = file.bytes().subarray(position, position + length);
    buffer.set(bytes, offset);
    return { bytesRead: bytes.length };
  }

  async write(
    buffer: Uint8Array,
    offset: number,
    length: number,
    position: number | null,
  ): Promise<{ bytesWritten: number }> {
    return this.#write('write', [buffer.subarray(offset, offset + length)], position);
  }

  async writev(buffers: readonly Uint8Array[], position?: number): Promise<{ bytesWritten: number }> {
    return this.#write('writev', buffers, position ?? null);
  }

  async truncate(length: number): Promise<void> {
    const file = this.#file('truncate');
    await this.#call('truncate', length);
    file.truncate(length);
  }

  async stat(): Promise<FaultyStats> {
    await this.#call('stat');
    return stats(this.#node);
  }

  async datasync(): Promise<void> {
    await this.#sync('datasync');
  }

  async sync(): Promise<void> {
    await this.#sync('sync');
  }

  async close(): Promise<void> {
    await this.#call('close');
    this.#closed = true;
    this.#end();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#closed) await this.close();
  }

  async #write(
    op: 'write' | 'writev',
    buffers: readonly Uint8Array[],
    at: number | null,
  ): Promise<{ bytesWritten: number }> {
    const file = this.#file(op);
    if (this.#flags === 'r') throw fault('EBADF', op, this.path);
    let bytes = Buffer.concat(buffers);
    const verdict = await this.#call(op, bytes.length);
    if (typeof verdict === 'object' && 'short' in verdict) bytes = bytes.subarray(0, verdict.short);
    file.write(bytes, this.#flags.startsWith('a') || at === null ? file.length : at);
    return { bytesWritten: bytes.length };
  }

  async #sync(op: 'datasync' | 'sync'): Promise<void> {
    if (this.#closed) throw fault('EBADF', op, this.path);
    try {
      const verdict = await this.#call(this.#node instanceof Directory ? 'dirsync' : op);
      await this.#save(verdict === 'ignore');
    } catch (error) {
      if (this.#node instanceof File) this.#node.doom();
      throw error;
    }
  }

  #file(op: string): File {
    if (this.#closed) throw fault('EBADF', op, this.path);
    if (this.#node instanceof Directory) throw fault('EISDIR', op, this.path);
    return this.#node;
  }
}

type Node = File | Directory;

const sector = 512;

let lastNumber = 0;

/** Tells files and directories apart, as inode numbers do. */
function nextNumber(): number {
  lastNumber += 1;
  return lastNumber;
}

/** A file's bytes as they read now, and those that are on the platter. */
class File {
  #now = new Content();
  readonly #saved = new Content();
  #dirty: Span[] = [];
  #doomed: Span[] = [];
  mtimeMs = Date.now();
  readonly ino = nextNumber();
  /** Names that it has. */
  links = 0;

  get length(): number {
    return this.#now.length;
  }

  bytes(): Uint8Array {
    return this.#now.bytes();
  }

  write(bytes: Uint8Array, at: number): void {
    const start = Math.min(at, this.#now.length);
    this.#now.write(bytes, at);
    this.#dirty.push({ start, end: at + bytes.length, length: this.#now.length });
    this.mtimeMs = Date.now();
  }

  truncate(length: number): void {
    const before = this.#now.length;
    this.#now.resize(length);
    this.#dirty.push({ start: Math.min(before, length), end: length, length });
    this.mtimeMs = Date.now();
  }

  beginSync(): () => void {
    const begun = new Set(this.#dirty);
    return () => {
      for (const span of this.#dirty) if (begun.has(span)) this.#save(span);
      this.#dirty = this.#dirty.filter((span) => !begun.has(span));
    };
  }

  doom(): void {
    this.#doomed.push(...this.#dirty);
    this.#dirty = [];
  }

  /** The file after a power cut. */
  survivor(keep: () => boolean): File {
    for (const span of [...this.#doomed, ...this.#dirty]) {
      if (!keep()) continue;
      if (keep()) this.#save(span);
      else this.#tear(span, keep);
    }
    const next = new File();
    next.write(this.#saved.bytes(), 0);
    next.beginSync()();
    return next;
  }

  #save(span: Span): void {
    this.#saved.resize(span.length);
    const end = Math.min(span.end, this.#now.length);
    if (end > span.start) this.#saved.write(this.#now.bytes().subarray(span.start, end), span.start);
  }

  #tear(span: Span, keep: () => boolean): void {
    this.#saved.resize(Math.max(this.#saved.length, span.length));
    for (let at = span.start; at < Math.min(span.end, this.#now.length); at += sector) {
      const end = Math.min(at + sector, span.end, this.#now.length);
      if (keep()) this.#saved.write(this.#now.bytes().subarray(at, end), at);
    }
  }
}

/** Bytes that were written, and the length that the file had afterwards. */
interface Span {
  readonly start: number;
  readonly end: number;
  readonly length: number;
}

/** Bytes that grow. */
class Content {
  #buffer = Buffer.alloc(0);
  length = 0;

  bytes(): Uint8Array {
    return this.#buffer.subarray(0, this.length);
  }

  write(bytes: Uint8Array, at: number): void {
    if (at + bytes.length > this.length) this.resize(at + bytes.length);
    this.#buffer.set(bytes, at);
  }

  resize(length: number): void {
    if (length > this.#buffer.length) {
      const grown = Buffer.alloc(Math.max(length, this.#buffer.length * 2, 4096));
      grown.set(this.bytes());
      this.#buffer = grown;
    }
    if (length < this.length) this.#buffer.fill(0, length, this.length);
    this.length = length;
  }
}

class Directory {
  readonly ino = nextNumber();
  mtimeMs = Date.now();
  readonly entries = new Map<string, Node>();
  readonly saved = new Map<string, Node>();
}

interface Addition {
  readonly directory: Directory;
  readonly name: string;
  readonly node: Node;
}

interface Removal {
  readonly directory: Directory;
  readonly name: string;
  readonly was: Node;
}

/** One change of names: an addition, a removal, or both (a rename). A removal is never saved ahead of its addition. */
class DirectoryChange {
  #addition: Addition | undefined;
  #removal: Removal | undefined;

  constructor(addition: Addition | undefined, removal?: Removal) {
    this.#addition = addition;
    this.#removal = removal;
  }

  get persisted(): boolean {
    return this.#addition === undefined && this.#removal === undefined;
  }

  touches(directory: Directory): boolean {
    return this.#addition?.directory === directory || this.#removal?.directory === directory;
  }

  apply(): void {
    for (const change of [this.#removal, this.#addition])
      if (change !== undefined) change.directory.mtimeMs = Date.now();
    if (this.#removal !== undefined) setEntry(this.#removal.directory, this.#removal.name, undefined);
    if (this.#addition !== undefined) setEntry(this.#addition.directory, this.#addition.name, this.#addition.node);
  }

  persistIn(directory: Directory): void {
    const removes = this.#removal?.directory === directory;
    if (this.#addition?.directory === directory || removes) this.#persistAddition();
    if (removes) this.#persistRemoval();
  }

  persist(keep: () => boolean): void {
    this.#persistAddition();
    if (keep()) this.#persistRemoval();
  }

  #persistAddition(): void {
    if (this.#addition !== undefined) this.#addition.directory.saved.set(this.#addition.name, this.#addition.node);
    this.#addition = undefined;
  }

  #persistRemoval(): void {
    const removal = this.#removal;
    if (removal !== undefined && removal.directory.saved.get(removal.name) === removal.was) {
      removal.directory.saved.delete(removal.name);
    }
    this.#removal = undefined;
  }
}

/** Gives a name to a file or directory, or takes it away, and counts a file's names. */
function setEntry(directory: Directory, name: string, node: Node | undefined): void {
  const before = directory.entries.get(name);
  if (before instanceof File) before.links -= 1;
  if (node instanceof File) node.links += 1;
  if (node === undefined) directory.entries.delete(name);
  else directory.entries.set(name, node);
}

/** What is left of a tree after a power cut; two names of one file stay names of one file. */
function survive(directory: Directory, keep: () => boolean, files: Map<File, File>): Directory {
  const next = new Directory();
  for (const [name, node] of directory.saved) {
    let survivor: Node;
    if (node instanceof Directory) survivor = survive(node, keep, files);
    else {
      survivor = files.get(node) ?? node.survivor(keep);
      if (survivor instanceof File) files.set(node, survivor);
    }
    setEntry(next, name, survivor);
    next.saved.set(name, survivor);
  }
  return next;
}

function parts(path: string): string[] {
  return posix
    .normalize(path)
    .split('/')
    .filter((part) => part !== '' && part !== '.');
}

function stats(node: Node): FaultyStats {
  return {
    ino: node.ino,
    size: node instanceof File ? node.length : 0,
    mtimeMs: node.mtimeMs,
    ctimeMs: node.mtimeMs,
    nlink: node instanceof File ? node.links : 1,
    isFile: () => node instanceof File,
    isDirectory: () => node instanceof Directory,
  };
}
