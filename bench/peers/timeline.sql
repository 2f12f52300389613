SELECT value, since
FROM regime t
WHERE knob = :knob
  --campaign: AND t.campaign = :campaign
ORDER BY campaign, since
LIMIT 200
