<?php

// Lets `sidecar conformance --client` use the client: see docs/writing-a-client.md.

declare(strict_types=1);

require __DIR__ . '/Sidecar.php';

function say(array $line): void
{
    echo json_encode($line, JSON_UNESCAPED_SLASHES | JSON_PRESERVE_ZERO_FRACTION), "\n";
}

$names = []; // id => name
$sidecar = null;
$tell = function () use (&$names, &$sidecar): void {
    foreach ($names as $id => $name) {
        if (!in_array($id, $sidecar->move(0.0), true)) {
            continue;
        }
        unset($names[$id]);
        try {
            $content = $sidecar->wait($id);
            $name === null || say(['as' => $name, 'content' => $content]);
        } catch (SidecarFailure $failed) {
            $name === null || say(['as' => $name, 'error' => $failed->detail]);
        }
    }
};
try {
    $sidecar = new Sidecar(array_slice($argv, 1), fn (object $event) => say(['event' => $event->event, 'content' => $event->content]));
} catch (SidecarEnded) {
    say(['ended' => true]);
    exit;
}
stream_set_blocking(STDIN, false);
while (!feof(STDIN)) {
    $sidecar->move(0.01);
    $tell();
    $line = stream_get_line(STDIN, 1 << 26, "\n");
    $wanted = $line === false || $line === '' ? null : json_decode($line);
    try {
        if (isset($wanted->cancel)) {
            $names[$sidecar->start('cancel', ['id' => array_search($wanted->cancel, $names, true)])] = null;
        } elseif ($wanted !== null) {
            $names[$sidecar->start($wanted->type, $wanted->content ?? null)] = $wanted->as;
        }
    } catch (SidecarEnded) {
        say(['as' => $wanted->as, 'ended' => true]);
    }
}
$code = $sidecar->close();
$tell();
foreach ($names as $name) {
    $name === null || say(['as' => $name, 'ended' => true]);
}
say(['closed' => $code]);
