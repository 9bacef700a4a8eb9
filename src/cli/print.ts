import type { Writable } from 'node:stream';

/** Writes to stdout. False: the reader has seen enough (`| head`), which is no error. */
export function print(stdout: Writable, text: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const fail = (error: NodeJS.ErrnoException): void => {
      if (error.code === 'EPIPE') resolve(false);
      else reject(error);
    };
    stdout.once('error', fail);
    stdout.write(text, (error) => {
      if (error) return;
      stdout.off('error', fail);
      resolve(true);
    });
  });
}
