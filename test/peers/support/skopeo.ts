import { run } from './process.ts';

/**
 * Runs Debian's skopeo against registries without TLS, with neither the policy nor the logins of this machine.
 * @returns its stdout @throws where it fails, with what it said
 */
export function skopeo(
  command: 'copy' | 'inspect' | 'list-tags' | 'delete' | 'login',
  ...args: string[]
): Promise<string> {
  const plain = command === 'copy' ? ['--src-tls-verify=false', '--dest-tls-verify=false'] : ['--tls-verify=false'];
  return run('/usr/bin/skopeo', ['--insecure-policy', command, ...plain, ...args], {
    env: { REGISTRY_AUTH_FILE: '/nonexistent/auth.json' },
  });
}
