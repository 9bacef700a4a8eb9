import { join } from 'node:path';

/** What the server remembers about itself. */
export function stateFolder(data: string): string {
  return join(data, 'state');
}

/** The key by which the command line on this machine is let in. */
export function cliKeyFile(data: string): string {
  return join(stateFolder(data), 'cli-key');
}

/** The key by which tokens are signed. */
export function tokenKeyFile(data: string): string {
  return join(stateFolder(data), 'token-key');
}

/** It is there once users were seen. */
export function usersSeenFile(data: string): string {
  return join(stateFolder(data), 'htpasswd-seen');
}
