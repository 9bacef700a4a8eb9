/** What `stat` says, as far as it is asked. `size` in bytes. */
export interface Stats {
  readonly ino: number;
  readonly size: number;
  readonly mtimeMs: number;
  /** When anything of it was changed last, its name included; nobody can set it. */
  readonly ctimeMs: number;
  /** Names that the file has. */
  readonly nlink: number;
  isFile(): boolean;
  isDirectory(): boolean;
}

/** An entry of a directory. */
export interface Dirent {
  readonly name: string;
  isFile(): boolean;
  isDirectory(): boolean;
}

/** An open file, or a directory opened to be synced. Lengths and positions in bytes. */
export interface FileHandle {
  read(buffer: Uint8Array, offset: number, length: number, position: number): Promise<{ bytesRead: number }>;
  /** It may write less than it was given. Without a position, it is for a file that was opened to be added to. */
  writev(buffers: Uint8Array[], position?: number): Promise<{ bytesWritten: number }>;
  truncate(length: number): Promise<void>;
  stat(): Promise<Stats>;
  datasync(): Promise<void>;
  sync(): Promise<void>;
  close(): Promise<void>;
}

/** The little of a file system that the disk driver needs; its errors carry Node's codes. */
export interface FileSystem {
  open(path: string, flags: string, mode?: number): Promise<FileHandle>;
  /** Opens a file that is there, to read it and to add to its end, wherever that is when something is written (O_APPEND). */
  openToAdd(path: string): Promise<FileHandle>;
  mkdir(path: string, options: { recursive: true }): Promise<string | undefined>;
  readdir(path: string, options: { withFileTypes: true }): Promise<Dirent[]>;
  rename(from: string, to: string): Promise<void>;
  /** Gives a file another name beside its own. Fails with EEXIST where something has that name. */
  link(existing: string, path: string): Promise<void>;
  unlink(path: string): Promise<void>;
  rmdir(path: string): Promise<void>;
  stat(path: string): Promise<Stats>;
  /** Fails with EACCES where this user may not do it: a sum of `R_OK`, `W_OK` and `X_OK` of `node:fs`. */
  access(path: string, mode: number): Promise<void>;
  readFile(path: string): Promise<Uint8Array>;
  /** Of the file system that a path lies on: its kind, the blocks that this user can still write, and their size in bytes. */
  statfs(path: string): Promise<{ readonly type: number; readonly bavail: number; readonly bsize: number }>;
}
