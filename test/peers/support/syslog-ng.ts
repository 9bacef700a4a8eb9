import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { cached, machine } from './cache.ts';
import { run } from './process.ts';
import { type Sender, startSender } from './senders.ts';

/** Debian's package of syslog-ng, unpacked at the first call: it cannot be installed where rsyslog is. @returns its folder */
function syslogNgFolder(): Promise<string> {
  return cached('syslog-ng-core', async (folder) => {
    const download = ['-c', 'apt-get download syslog-ng-core && dpkg -x syslog-ng-core_*.deb . && rm *.deb'];
    await run('env', ['-C', folder, 'sh', ...download], { env: machine() });
  });
}

/**
 * Debian's syslog-ng. What a program writes to the unix datagram socket `log` in its folder goes to its destination.
 * @param destinations by the names of programs
 */
export async function startSyslogNg(destinations: ReadonlyMap<string, string>): Promise<Sender> {
  const files = await syslogNgFolder();
  const logs = [...destinations].map(
    ([name, driver]) => `log { filter { program("^${name}$"); }; destination { ${driver}; }; };`,
  );
  // Nothing may stand before the version.
  const config = (folder: string): string => `@version: 3.38
    options { keep-hostname(yes); };
    log { source { unix-dgram("${folder}/log"); }; ${logs.join('\n')} };
  `;
  const own = { '--cfgfile': 'config', '--pidfile': 'pid', '--control': 'control', '--persist-file': 'persist' };
  const libraries = join(files, 'usr/lib/syslog-ng');
  return startSender(
    join(files, 'usr/sbin/syslog-ng'),
    'syslog-ng',
    config,
    (folder) => [
      '--foreground',
      '--stderr',
      '--no-caps',
      `--module-path=${libraries}/3.38`,
      ...Object.entries(own).map(([option, name]) => `${option}=${join(folder, name)}`),
    ],
    async (folder) => (await stat(join(folder, 'log'))).isSocket(),
    { LD_LIBRARY_PATH: libraries },
  );
}
