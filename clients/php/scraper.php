<?php

// The small scraper: sends what was not sent before. Its arguments are the sidecar's command: php scraper.php sidecar

declare(strict_types=1);

require __DIR__ . '/Sidecar.php';

try {
    $sidecar = new Sidecar(array_slice($argv, 1) ?: ['sidecar']);
    $sidecar->request('set_mock', ['secrets' => ['user' => ['username' => 'demo', 'password' => 'demo']]]); // or set_credentials
    $user = $sidecar->request('get_user_secret', ['encryption_key' => 'any, in mock mode']);
    echo "scraping as $user->username\n";
    foreach (['cv-1', 'cv-2', 'cv-1'] as $reference) {
        if ($sidecar->request('has_cached_reference', $reference)) {
            echo "$reference: was sent before\n";
            continue;
        }
        $matched = $sidecar->request('send_cv', ['referenceNumber' => $reference, 'title' => 'Something scraped']);
        $sidecar->request('set_cached_reference', $reference);
        echo "$reference: sent, ", $matched ? 'matched' : 'no match', "\n";
    }
    exit($sidecar->close());
} catch (SidecarFailure | SidecarEnded $failed) {
    fwrite(STDERR, "failed: {$failed->getMessage()}\n");
    exit(1);
}
